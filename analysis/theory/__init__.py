"""The paper's theory beside what trials gained: changes of norms, rank correlations, and how far a clip reaches."""
