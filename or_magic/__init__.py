"""Ask any OpenRouter model from a notebook cell, and know what it cost."""
