"""What a clip does to a matrix: kinds of clip, SVD factors and their cache, spectra, identities."""
