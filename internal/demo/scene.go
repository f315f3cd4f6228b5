package demo

// picture is a scene in a mood.
type picture struct {
	scene func(*brush)
	mood  mood
}

// pictures maps the image of each sample article to what it shows.
func pictures() map[string]picture {
	return map[string]picture{
		"harbour-strike.png":   {harbour, dawn()},
		"town-ballot.png":      {ballot, meadow()},
		"reef-nursery.png":     {reef, noon()},
		"night-market.png":     {market, night()},
		"island-cup-run.png":   {floodlit, dusk()},
		"chip-plant.png":       {chip, night()},
		"alpine-sleeper.png":   {sleeper, night()},
		"seaside-supper.png":   {seaside, noon()},
		"wind-coast.png":       {turbines, ice()},
		"four-city-choir.png":  {stage, dusk()},
		"grain-barges.png":     {farm, meadow()},
		"warm-terraces.png":    {terrace, dawn()},
		"short-tram.png":       {tram, meadow()},
		"lagoon-ferry.png":     {ferry, ember()},
		"desert-dome.png":      {observatory, night()},
		"dawn-marathon.png":    {road, ember()},
		"lost-umbrellas.png":   {umbrellas, ice()},
		"snow-line.png":        {snowTrain, ice()},
		"sea-water.png":        {coast, noon()},
		"rice-terraces.png":    {paddies, dawn()},
		"palace-cinema.png":    {cinema, dusk()},
		"cooperative-bank.png": {chart, dawn()},
		"womens-ground.png":    {pitch, noon()},
		"island-council.png":   {parliament, dusk()},
		"mountain-stage.png":   {switchback, noon()},
		"quiet-balloons.png":   {balloons, dawn()},
		"savanna-line.png":     {savanna, ember()},
		"lake-light.png":       {lighthouse, dusk()},
		"robot-class.png":      {robots, meadow()},
	}
}
