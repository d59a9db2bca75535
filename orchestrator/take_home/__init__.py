"""The winner of a study, or clips given by hand, written as a checkpoint; and the check that it scores as stored."""
