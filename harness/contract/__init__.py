"""Operations as HTTP requests, and responses as answers, as ``docs/service.md`` has them. Pure."""
