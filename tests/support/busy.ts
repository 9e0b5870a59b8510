/** Uses the processor for so long, as work would. */
export function busyFor(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}
