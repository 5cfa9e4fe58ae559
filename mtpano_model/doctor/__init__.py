"""What is installed, what is missing and what to mend; the checks behind `mtpano doctor`."""
