"""What the weights of attention look like: statistics of every row, and the weights of chosen rows."""
