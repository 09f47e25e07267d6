"""Who may call, and the files that say so: tokens and certificates."""
