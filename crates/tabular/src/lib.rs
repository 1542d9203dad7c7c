//! CSV to columns to Parquet and Snappy CSV, and predictions back to rows.
