/* The test is that this program compiles: it consists of one file for each header. */
int main()
{
    return 0;
}
