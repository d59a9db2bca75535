"""What screens say of a study's points, and the file that keeps them."""
