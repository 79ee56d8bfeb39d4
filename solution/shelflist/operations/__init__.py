"""Operations about the service itself."""
