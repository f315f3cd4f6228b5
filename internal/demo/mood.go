package demo

// mood is a picture's set of inks, from the sky down.
type mood struct {
	skyTop, skyMid, skyLow ink
	sun                    ink
	far, mid, near, dark   ink // land, from the horizon to the foreground
	waterTop, waterLow     ink
	light, warm, cool      ink // lit surfaces and the two accents
}

func dawn() mood {
	return mood{
		skyTop: 0x6FAAB8, skyMid: 0xBFD6CC, skyLow: 0xFCE0BF, sun: 0xFF9A66,
		far: 0xB4C8C2, mid: 0x6E9D9C, near: 0x2F6166, dark: 0x17363D,
		waterTop: 0xA9CDC6, waterLow: 0x23606E, light: 0xFFF6E9, warm: 0xE4572E, cool: 0x17768A,
	}
}

func noon() mood {
	return mood{
		skyTop: 0x4A9FCF, skyMid: 0x94CBE2, skyLow: 0xE6F3F2, sun: 0xFFE596,
		far: 0xA6CBD0, mid: 0x72B08D, near: 0x3B7F5B, dark: 0x1D4238,
		waterTop: 0x86CBD8, waterLow: 0x1B668E, light: 0xFDFAF2, warm: 0xE9623B, cool: 0x2465A6,
	}
}

func dusk() mood {
	return mood{
		skyTop: 0x2B2D5B, skyMid: 0xA5597E, skyLow: 0xFBB77F, sun: 0xFFDC95,
		far: 0x955F86, mid: 0x5F4274, near: 0x382C55, dark: 0x1B1936,
		waterTop: 0xD98A80, waterLow: 0x2B2A55, light: 0xFFEBCD, warm: 0xF2694A, cool: 0x3FA7A3,
	}
}

func night() mood {
	return mood{
		skyTop: 0x0A1530, skyMid: 0x15305A, skyLow: 0x3A6B93, sun: 0xFBF3D5,
		far: 0x24486F, mid: 0x193657, near: 0x10243D, dark: 0x081425,
		waterTop: 0x2B5A84, waterLow: 0x0A1830, light: 0xFFE3A0, warm: 0xF29A4A, cool: 0x4FC3C7,
	}
}

func ember() mood {
	return mood{
		skyTop: 0xDB4B3A, skyMid: 0xF3914A, skyLow: 0xFCD98F, sun: 0xFFF3C9,
		far: 0xD2704A, mid: 0xA04A36, near: 0x632D2D, dark: 0x34171C,
		waterTop: 0xF2AC62, waterLow: 0x8C3B3B, light: 0xFFF1D0, warm: 0xD7263D, cool: 0x1B7F79,
	}
}

func ice() mood {
	return mood{
		skyTop: 0x86ACD4, skyMid: 0xC0D9EC, skyLow: 0xF7F1E6, sun: 0xFFD59A,
		far: 0xB4CADF, mid: 0x86A6C6, near: 0x4A6F98, dark: 0x1F3B5A,
		waterTop: 0xB4D1E3, waterLow: 0x4379A5, light: 0xFFFFFF, warm: 0xD8504D, cool: 0x2A7F9E,
	}
}

func meadow() mood {
	return mood{
		skyTop: 0x7CC0C7, skyMid: 0xC2E1CF, skyLow: 0xFCF1CF, sun: 0xF9C74F,
		far: 0xA2C8A6, mid: 0x74AC6C, near: 0x417F4D, dark: 0x21452F,
		waterTop: 0xB5DCCB, waterLow: 0x3C8C8F, light: 0xFFFBEA, warm: 0xE76F51, cool: 0x277DA1,
	}
}
