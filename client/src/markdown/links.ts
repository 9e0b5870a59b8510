const allowed = new Set(['http:', 'https:', 'mailto:'])

/** The address if it may be opened from a message, else undefined. Relative ones lead nowhere from here. */
export function safeHref(href: string): string | undefined {
  try {
    const url = new URL(href)
    return allowed.has(url.protocol) ? url.href : undefined
  } catch {
    return undefined
  }
}
