"""What measures: the lessons as experiments, the search of recipes, the speed."""
