"""Takes questions in, queues them fairly, and sees to it that each answer is delivered once."""
