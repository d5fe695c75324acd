"""The bridge to Airflow: operators that run stages, forms from models, retries from the error tree."""
