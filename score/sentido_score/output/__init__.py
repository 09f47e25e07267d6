"""What a run makes: results, parts, the record of what is finished, the report."""
