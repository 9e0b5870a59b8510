import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Config } from '../config/config.ts'

type HostConfig = Pick<Config, 'host' | 'allowedHosts'>

/** The answer to a request for a host that is not ours, status 421. */
export const foreignHost =
  'This server does not answer for the host that the request names. Add its name to ALLOWED_HOSTS, or * for any.'

/**
 * Whether a request may name the host that it names. A server on loopback answers for loopback names alone: otherwise a
 * page of any name that resolves to 127.0.0.1 counts as one of our own pages (DNS rebinding). Programs of HTTP/1.0 name
 * none; browsers always do.
 */
export function isOwnHost(request: IncomingMessage, config: HostConfig): boolean {
  return !isLoopback(config.host) || isKnownHost(request, config)
}

/** The same wherever the server listens. */
export function isKnownHost({ headers: { host } }: IncomingMessage, { host: own, allowedHosts }: HostConfig): boolean {
  if (!host || allowedHosts.includes('*')) return true
  const name = hostnameOf(host)
  return name !== null && (isLoopback(name) || name === hostnameOf(own) || allowedHosts.includes(name))
}

function hostnameOf(host: string): string | null {
  const url = `http://${isIP(host) === 6 ? `[${host}]` : host}`
  if (/[/?#@\\]/.test(host) || !URL.canParse(url)) return null
  return new URL(url).hostname.replace(/\.$/, '')
}

const isLoopback = (name: string): boolean => /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(name)
