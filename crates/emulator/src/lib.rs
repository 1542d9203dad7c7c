//! An S3 and a SageMaker on loopback that behave as documented.
