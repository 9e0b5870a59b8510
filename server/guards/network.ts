import { isIPv6 } from 'node:net'

/**
 * Whom an address counts as: itself by IPv4, its network by IPv6, where everyone has at least a /64 and so as many addresses
 * as they like.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('%', 1)[0]!.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const left = tail === undefined ? 0 : 8 - before.length - after.length
  const network = [...before, ...Array<number>(left).fill(0), ...after].slice(0, 4)
  // nobody's network: the machine itself, and addresses of IPv4 written so
  if (network.every((group) => group === 0)) return address
  return `${network.map((group) => group.toString(16)).join(':')}::/64`
}

/** An address of IPv4 at the end stands for two of them. */
const groupsOf = (text: string): number[] =>
  text === '' ? [] : text.split(':').flatMap((group) => (group.includes('.') ? [0, 0] : [parseInt(group, 16)]))
