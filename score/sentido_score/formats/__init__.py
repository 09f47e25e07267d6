"""How rows are read and written: CSV, TSV, JSON lines, Parquet and lines of text."""
