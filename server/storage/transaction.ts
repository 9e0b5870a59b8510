import type { EntityManager, MikroORM } from '@mikro-orm/sql'
import type { Transaction as KyselyTransaction } from 'kysely'
import type { Sql, Tx } from './storage.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- kysely's type for a database whose tables it does not know
type Transaction = KyselyTransaction<any>

/** Runs `work` in one transaction that SQL and entities share; an entity manager is only made where one is asked for. */
export async function openTransaction<T>(
  orm: MikroORM,
  sqlOf: (transaction: Transaction) => Sql,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const callbacks: (() => void)[] = []
  let em: EntityManager | undefined
  let failure: { error: unknown } | undefined
  const inside = async (transaction: Transaction): Promise<T> => {
    const sql = sqlOf(transaction)
    const result = await work({
      all: sql.all,
      run: sql.run,
      get em() {
        if (!em) {
          em = orm.em.fork()
          em.setTransactionContext(transaction)
        }
        return em
      },
      afterCommit: (callback) => callbacks.push(callback),
    })
    if (em) await em.flush()
    return result
  }
  // kysely gives the connection back in every case, also where it broke and neither commit nor rollback works any more
  const result = await orm.em
    .getConnection()
    .getClient()
    .transaction()
    .execute((transaction: Transaction) =>
      inside(transaction).catch((error: unknown) => {
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
