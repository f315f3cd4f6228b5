package web

import (
	"fmt"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// rhythm says a frequency as people do: "every day at 07:00". Cron lines that
// have no simple saying are named by their frequency.
func rhythm(f news.Frequency) string {
	if f.Cron == "" {
		return "as soon as there is news"
	}
	line := f.Cron
	if word, ok := strings.CutPrefix(line, "@"); ok {
		return word
	}
	p := strings.Fields(line)
	if len(p) != 5 || p[3] != "*" {
		return f.Name
	}
	minute, err := strconv.Atoi(p[0])
	if err != nil {
		return minutely(p, f.Name)
	}
	if p[1] == "*" && p[2] == "*" && p[4] == "*" {
		return "every hour"
	}
	hour, err := strconv.Atoi(p[1])
	if err != nil {
		return f.Name
	}
	at := fmt.Sprintf(hourWord+"%02d:%02d", hour, minute)
	switch {
	case p[2] == "*" && p[4] == "*":
		return "every day" + at
	case p[2] == "*":
		if days := weekdays(p[4]); days != "" {
			return days + at
		}
	case p[4] == "*":
		if n, err := strconv.Atoi(p[2]); err == nil {
			return fmt.Sprintf("on day %d of each month", n) + at
		}
	}
	return f.Name
}

// hourWord stands before the hour of a rhythm, and in no other: the name of a
// frequency has no spaces.
const hourWord = " at "

// capital writes a rhythm, or the name of a frequency, as the start of a line.
func capital(text string) string {
	if !strings.Contains(text, " ") {
		text = strings.ReplaceAll(text, "-", " ")
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// minutely words "*" and "*/N" in the minutes.
func minutely(p []string, name string) string {
	if p[1] != "*" || p[2] != "*" || p[4] != "*" {
		return name
	}
	if p[0] == "*" {
		return "every minute"
	}
	if step, ok := strings.CutPrefix(p[0], "*/"); ok {
		if n, err := strconv.Atoi(step); err == nil && n > 1 && 60%n == 0 {
			return fmt.Sprintf("every %d minutes", n)
		}
	}
	return name
}

// weekdays words the last field of a cron line: single days and lists of them.
func weekdays(field string) string {
	switch strings.ToLower(field) {
	case "mon-fri", "1-5":
		return "Monday to Friday"
	case "sat,sun", "6,0", "0,6", "6-7":
		return "on weekends"
	}
	names := [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
	var out []string
	for item := range strings.SplitSeq(strings.ToLower(field), ",") {
		day := -1
		if n, err := strconv.Atoi(item); err == nil && n >= 0 && n < len(names) {
			day = n
		}
		for i, name := range names {
			if day < 0 && len(item) == 3 && strings.HasPrefix(strings.ToLower(name), item) {
				day = i
			}
		}
		if day < 0 {
			return ""
		}
		out = append(out, "every "+names[day])
	}
	return strings.Join(out, ", ")
}
