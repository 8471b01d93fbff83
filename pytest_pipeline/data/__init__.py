"""Records of JSON lines, judged one by one in memory that does not grow; knows no pytest, no AWS and no settings."""
