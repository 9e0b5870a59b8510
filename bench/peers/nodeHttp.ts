import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Database from 'better-sqlite3'
import { answer } from '../support/answer.ts'

/** `node:http`, one prepared statement and JSON.stringify, on the same rows; it asks nobody who they are. */
const database = new Database(process.argv[2]!, { readonly: true })
database.pragma('cache_size = -65536')
const newest = database.prepare(
  `SELECT m.id, m.role, m.content, m.status, m.created_at AS createdAt, u.id AS authorId, u.name AS authorName
   FROM messages m LEFT JOIN users u ON u.id = m.author_id WHERE m.session_id = ? ORDER BY m.seq DESC LIMIT 50`,
)

interface Found {
  id: string
  role: string
  content: string
  status: string
  createdAt: number
  authorId: string | null
  authorName: string | null
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (text: string) => (body += text))
  request.on('end', () => {
    const { variables } = JSON.parse(body) as { variables: { id: string } }
    const rows = newest.all(variables.id) as Found[]
    const messages = rows.reverse().map(({ id, role, content, status, createdAt, authorId, authorName }) => ({
      id,
      role,
      content,
      status,
      createdAt: new Date(createdAt).toISOString(),
      author: authorId && { id: authorId, name: authorName },
    }))
    const text = JSON.stringify({ messages })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.end(text)
  })
})
server.listen(0, '127.0.0.1', () => answer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {}))
