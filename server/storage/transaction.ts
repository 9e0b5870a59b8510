import type { EntityManager, MikroORM } from '@mikro-orm/sql'
import type { Kysely, Transaction as KyselyTransaction } from 'kysely'
import type { Sql, Tx } from './storage.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- kysely's type for a database whose tables it does not know
type Transaction = KyselyTransaction<any>
// oxlint-disable-next-line typescript/no-explicit-any -- the same
export type Connection = Kysely<any>

/**
 * Does `work` in a transaction that is open on a connection: SQL and entities share it, and an entity manager is only made
 * where one is asked for.
 * @param callbacks gets what is to run once it is committed
 */
export async function workInside<T>(
  orm: MikroORM,
  connection: Connection,
  sql: Sql,
  callbacks: (() => void)[],
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  let em: EntityManager | undefined
  const result = await work({
    all: sql.all,
    run: sql.run,
    get em() {
      if (!em) {
        em = orm.em.fork()
        em.setTransactionContext(connection)
      }
      return em
    },
    afterCommit: (callback) => callbacks.push(callback),
  })
  if (em) await em.flush()
  return result
}

/** Runs `work` in a transaction of its own. */
export async function openTransaction<T>(
  orm: MikroORM,
  sqlOf: (transaction: Transaction) => Sql,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const callbacks: (() => void)[] = []
  let failure: { error: unknown } | undefined
  // kysely gives the connection back in every case, also where it broke and neither commit nor rollback works any more
  const result = await orm.em
    .getConnection()
    .getClient()
    .transaction()
    .execute((transaction: Transaction) =>
      workInside(orm, transaction, sqlOf(transaction), callbacks, work).catch((error: unknown) => {
        failure = { error }
        throw error
      }),
    )
    .catch((error: unknown) => {
      // the rollback's own failure would hide it
      throw failure ? failure.error : error
    })
  for (const callback of callbacks) callback()
  return result
}
