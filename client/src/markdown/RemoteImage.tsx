import { Image } from 'lucide-react'
import { safeHref } from './links.ts'

/** A remote image tells its server who reads the message and when, so it is a link, opened only by who wants to see it. */
export function RemoteImage({ href, alt }: { href: string; alt: string }) {
  const address = safeHref(href)
  if (!address) return alt
  return (
    <a href={address} target="_blank" rel="noopener noreferrer" title={`Image on ${new URL(address).host}`}>
      <Image aria-hidden className="mr-1 inline size-4 align-[-0.15em]" />
      {alt || 'Image'}
    </a>
  )
}
