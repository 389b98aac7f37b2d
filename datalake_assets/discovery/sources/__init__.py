"""What can be crawled: objects in S3 and on disk, databases, DynamoDB, and AWS Glue's own crawler."""
