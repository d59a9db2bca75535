"""The paper's theory as measurements: implicit updates, their norms under clipping, and the bound."""
