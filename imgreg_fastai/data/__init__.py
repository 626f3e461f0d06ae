"""From files to a checked DataFrame: tables, labels, pictures, splits, and what is wrong with them."""
