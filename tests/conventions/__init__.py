"""Rules of the house, kept over files and syntax trees instead of by memory."""
