"""Integer programs: operations, interpreter and saved form. Imports numpy and safetensors only."""
