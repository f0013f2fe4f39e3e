"""Everything that runs a model. torch and the Hugging Face libraries are imported here only, and only on first use."""
