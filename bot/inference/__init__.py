"""Everything that runs a model. Only this package and `training` import torch and the Hugging Face libraries, on first use."""
