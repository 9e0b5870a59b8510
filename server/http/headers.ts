import type { ServerResponse } from 'node:http'

const policy = (...directives: string[]): string =>
  ["default-src 'none'", ...directives, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"].join('; ')

/** Of what is no page: nothing in it is to be run, shown or framed. */
const dataPolicy = policy()

/** Of the web client: its own files alone, no inline script or style, and no string that becomes a script. */
export const pagePolicy = policy(
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
)

/**
 * Of GraphiQL: one inline script, which its hash names and which starts the editor's workers from blobs. The editor
 * writes its styles into the page.
 */
export const graphiqlPolicy = (scriptHash: string): string =>
  policy(
    `script-src '${scriptHash}'`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    'img-src data:',
    'font-src data:',
    "connect-src 'self'",
  )

const always = new Map(
  Object.entries({
    'content-security-policy': dataPolicy,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  }),
)

/** What every answer says to browsers; by https also to come by nothing else for a year. */
export function setSecurityHeaders(response: ServerResponse, isHttps: boolean): void {
  response.setHeaders(always)
  if (isHttps) response.setHeader('strict-transport-security', 'max-age=31536000')
}
