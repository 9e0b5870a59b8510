const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i

/** Whether a string is a UUID of any version, in either case. The database fails on any other id. */
export const isUuid = (value: string): boolean => uuid.test(value)
