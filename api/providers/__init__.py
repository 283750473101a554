"""Who answers what customers ask: servers that speak the OpenAI API, and a built-in demo."""
