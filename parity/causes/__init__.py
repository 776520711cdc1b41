"""Why a user's two sides part: causes, each confirmed by a replay that agrees once it is undone."""
