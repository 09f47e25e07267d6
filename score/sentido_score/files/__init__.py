"""Where things are and how they are written: locations, listings, whole files, our own records."""
