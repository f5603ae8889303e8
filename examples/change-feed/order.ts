import { openShop } from './shop.ts'

/* Orders an item: `node examples/change-feed/order.ts lamp` */

const shop = openShop(process.env.SHOP ?? 'shop.db')
const { lastInsertRowid } = shop
  .prepare("INSERT INTO orders(item, state) VALUES (?, 'paid')")
  .run(process.argv[2] ?? 'lamp')
process.stdout.write(`order ${lastInsertRowid}\n`)
shop.close()
