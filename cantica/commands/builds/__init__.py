"""Build stages in parallel: DVC says what is up to date, and Dask decides where and when a stage runs."""
