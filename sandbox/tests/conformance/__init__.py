"""What the sandbox answers where AWS is known to answer something definite."""
