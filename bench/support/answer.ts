/** In a child: answers what the parent asks, and ends with it. */
export function answer<Methods extends object>(url: string, methods: Methods): void {
  const table = methods as Record<string, (params: unknown) => unknown>
  const reply = async ({ id, name, params }: { id: number; name: string; params: unknown }) => {
    try {
      process.send!({ id, result: await table[name]!(params) })
    } catch (error) {
      process.send!({ id, error: error instanceof Error ? error.message : String(error) })
    }
  }
  process.on('message', (question: Parameters<typeof reply>[0]) => void reply(question))
  process.once('disconnect', () => process.exit(0))
  process.once('SIGTERM', () => process.exit(0))
  process.send!({ ready: url })
}
