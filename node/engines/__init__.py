"""Where expressions run: DuckDB in this process, Apache Spark, or PostgreSQL; every session is in UTC."""
