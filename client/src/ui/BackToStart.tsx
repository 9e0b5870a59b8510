import { useLocation } from 'wouter'
import { Button } from './Button.tsx'

/** The way out of a page that leads nowhere. */
export function BackToStart() {
  const [, navigate] = useLocation()
  return <Button onClick={() => navigate('/')}>Back to start</Button>
}
