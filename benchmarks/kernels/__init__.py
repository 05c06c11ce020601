"""Speed, memory and numerical error of the kernels beside their peers, on the same machine and inputs."""
