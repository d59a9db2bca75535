"""What the paper's theory says of a study, read from its folder and put in words."""
