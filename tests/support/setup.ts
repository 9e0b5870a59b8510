// A worker whose runner was killed would go on with its test, unseen.
process.once('disconnect', () => process.exit(1))
