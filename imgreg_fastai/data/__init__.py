"""From files to a checked DataFrame: tables, labels, images, splits, and what is wrong with them."""
