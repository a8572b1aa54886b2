"""Every algorithm, one file each. Open the file: it reads like its paper."""
