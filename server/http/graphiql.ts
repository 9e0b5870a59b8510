import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isProduction, type Config } from '../config/config.ts'
import { exampleTabs } from './exampleOperations.ts'
import { graphiqlPolicy } from './headers.ts'

interface Page {
  html: Buffer
  policy: string
}

/** Whether GraphiQL is served: where it is switched on, or nothing is said and its operations would be answered to anyone. */
export const servesGraphiql = (config: Config): boolean =>
  config.graphiql === undefined ? !isProduction(config) && !config.persistedOnly : config.graphiql === 'on'

/** A browser says that it does; programs take anything. */
export const wantsPage = ({ headers }: IncomingMessage): boolean => (headers.accept ?? '').includes('text/html')

export const asksForPage = (request: IncomingMessage): boolean => request.method === 'GET' && wantsPage(request)

/** Serves GraphiQL, whole in one page; made when somebody opens it, since it has nine megabytes. */
export function createGraphiql(): (response: ServerResponse) => Promise<void> {
  let page: Promise<Page> | undefined
  return async (response) => {
    const { html, policy } = await (page ??= makePage())
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-length': html.length,
      'content-security-policy': policy,
      'cache-control': 'no-cache',
    })
    response.end(html)
  }
}

async function makePage(): Promise<Page> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql')
  const html = renderGraphiQL({
    title: 'Parley',
    defaultTabs: exampleTabs,
    subscriptionsProtocol: 'WS',
    // a token in them would lie where scripts can read it; the cookie of the page is enough
    shouldPersistHeaders: false,
  })
  const script = html.slice(html.indexOf('<script>') + '<script>'.length, html.lastIndexOf('</script>'))
  const hash = createHash('sha256').update(script).digest('base64')
  return { html: Buffer.from(html), policy: graphiqlPolicy(`sha256-${hash}`) }
}
